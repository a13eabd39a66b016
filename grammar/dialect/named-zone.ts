/** Whether a time zone is meant by its name in the tz database, and known by it here. A name without a slash may be an abbreviation, whose clock stands still; `+01:00` lies east of Greenwich to one engine and west of it to the other. */
export function isNamedZone(name: string): boolean {
  if (!/^(?!posix\/|right\/)[A-Za-z_]+(?:\/[\w+-]+){1,2}$/i.test(name)) return false;
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}
