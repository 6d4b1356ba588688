export const LONG_FILES: Readonly<Record<string, string>>;
export function findViolations(root: string): string[];
