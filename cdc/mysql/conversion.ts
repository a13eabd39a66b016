/** From the canonical text of a MySQL value to the text that local reads, and back. NULL passes by. */
import type { LossKind, OnLoss } from './type-loss.ts';

/** Null where a policy makes it so. */
export type ConvertText = (text: string) => string | null;

/** What needs no conversion: whoever finds this function in its place may hand the bytes on unread. */
export const keepText: ConvertText = (text) => text;

export interface Conversion {
  readonly toLocal: ConvertText;
  readonly toSource: ConvertText;
}

/** What a conversion may lose, and the conversion once it is known what happens then. */
export interface ConversionPlan {
  readonly toLocalLosses: readonly LossKind[];
  readonly toSourceLosses: readonly LossKind[];
  /**
   * The way to local changes only what is out of the ordinary: texts with U+0000, dates with a part of zeros or a day above 28. All else may be
   * handed on unread, instants to a session whose `TimeZone` is UTC.
   */
  readonly keepsOrdinary?: true;
  make(toLocal: OnLoss, toSource: OnLoss): Conversion;
}

export const keepBoth: ConversionPlan = { toLocalLosses: [], toSourceLosses: [], make: () => ({ toLocal: keepText, toSource: keepText }) };
