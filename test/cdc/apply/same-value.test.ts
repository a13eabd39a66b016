// One value in two spellings is the same; another value never is.
import { expect, test } from 'vitest';
import { isSameValue } from '../../../cdc/apply/same-value.ts';

test.each([
  ['integer', '42', '0042'], ['numeric(12,2)', '1.50', '1.5'], ['numeric', '-0.00', '0'], ['numeric(20,0)', '18446744073709551615', '18446744073709551615.000'], ['numeric', '1e3', '1000'],
  ['real', '1e-07', '0.0000001'], ['real', '3.4028235e+38', '3.4028234663852886e38'], ['real', '-0', '0'], ['double precision', '1e+235', '1e235'], ['double precision', 'NaN', 'nan'],
  ['boolean', 't', 'true'], ['boolean', '0', 'f'], ['date', '2024-02-29', '2024-02-29'],
  ['timestamp(3) without time zone', '2024-02-29 12:00:00', '2024-02-29 12:00:00.000'], ['timestamp without time zone', '2024-02-29 12:00:00.5', '2024-02-29T12:00:00.500000'],
  ['timestamp with time zone', '2024-02-29 12:00:00+00', '2024-02-29 14:00:00.000+02'], ['timestamp with time zone', '2024-02-29 12:00:00.25Z', '2024-02-29 06:30:00.250-05:30'], ['timestamp with time zone', '0001-01-01 00:30:00+01', '0001-12-31 23:30:00+00 BC'],
  ['time without time zone', '12:00:00', '12:00:00.000'], ['interval(6)', '-00:00:00.000001', '-00:00:00.000001'], ['interval', '1 day 02:00:00', '26:00:00'], ['interval', '-34 days -22:59:59', '-838:59:59.000'],
  ['bytea', '\\x00FF', '\\x00ff'], ['uuid', 'F47AC10B-58CC-4372-A567-0E02B2C3D479', 'f47ac10b-58cc-4372-a567-0e02b2c3d479'],
  ['inet', '::ffff:1.2.3.4', '::ffff:102:304'], ['inet', '1:0:0:2:0:0:0:3', '1:0:0:2::3'], ['inet', '10.0.0.1/32', '10.0.0.1'],
  ['text[]', '{"a","c d"}', '{a,"c d"}'], ['text[]', '{}', '{}'], ['text[]', '{"a\\"b"}', '{"a\\"b"}'],
  ['jsonb', '{"b": 1.50, "a": [1e2, null]}', '{"a":[100,null],"b":1.5}'], ['jsonb', '{"a": "\\u00e9"}', '{"a": "é"}'], ['pg_catalog.text', 'a', 'a'],
])('%s: %s is %s', (type, a, b) => {
  expect(isSameValue(type, a, b)).toBe(true);
  expect(isSameValue(type, b, a)).toBe(true);
});

test.each([
  ['integer', '42', '420'], ['numeric', '1.5', '1.05'], ['numeric', '-1', '1'], ['numeric', '123456789012345678901234567890', '123456789012345678901234567891'], ['numeric', 'NaN', '0'], ['numeric', 'Infinity', '-Infinity'],
  ['real', '0.1', '0.2'], ['double precision', '0.1', '0.10000000000000002'], ['double precision', 'NaN', '0'], ['double precision', 'Infinity', '-Infinity'], ['boolean', 't', 'f'],
  ['timestamp without time zone', '2024-02-29 12:00:00', '2024-02-29 12:00:00.000001'], ['timestamp without time zone', '2024-02-29 12:00:10', '2024-02-29 12:00:01'], ['timestamp without time zone', '-infinity', 'infinity'],
  ['timestamp with time zone', '2024-02-29 12:00:00+00', '2024-02-29 12:00:00+02'], ['timestamp with time zone', '0001-01-01 00:00:00+00', '0001-01-01 00:00:00+00 BC'], ['date', '2024-10-10', '2024-10-01'], ['date', '0001-01-01', '0001-01-01 BC'],
  ['interval', '1 mon', '30 days'], ['interval', '-00:00:01', '00:00:01'], ['interval', '10:00:00', '01:00:00'], ['interval', 'infinity', '-infinity'], ['bytea', '\\x00', '\\x0000'],
  ['inet', '10.0.0.0/8', '10.0.0.0'], ['inet', '::1', '::2'], ['text[]', '{NULL}', '{"NULL"}'], ['text[]', '{"a,b"}', '{a,b}'], ['text[]', '{}', '{""}'], ['text[]', '{{a},{b}}', '{a,b}'],
  ['jsonb', '{"a": 12345678901234567890}', '{"a": 12345678901234567891}'], ['jsonb', '{"a": 1}', '{"a": "1"}'], ['jsonb', '[1, 2]', '[2, 1]'], ['jsonb', '{"a": "n1"}', '{"a": 1}'], ['jsonb', '{"a": null}', '{}'],
  ['text', '1.50', '1.5'], ['character varying(20)', 'a ', 'a'], ['json', '{"a":1}', '{"a": 1}'], ['bit(3)', '010', '10'], ['shop.choice', 'a', 'A'], ['text', null, ''], ['integer', '0', null],
])('%s: %s is not %s', (type, a, b) => {
  expect(isSameValue(type, a, b)).toBe(false);
  expect(isSameValue(type, b, a)).toBe(false);
});
