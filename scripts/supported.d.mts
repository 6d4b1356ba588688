export interface SupportedRow {
  readonly test: string;
  readonly area: string;
  readonly resource: string;
  readonly outcome: string;
}
export function rowsOf(text: string): SupportedRow[];
export function supportedPage(root: string): string;
