/** One scenario's part of the report. */
export interface Section {
  name: string
  summary: string
  columns: readonly string[]
  rows: readonly (readonly string[])[]
  /** Who did not take part and why, targets met and missed. */
  notes: readonly string[]
  /** Every figure behind the table, for the JSON record. */
  data: unknown
}

/** A table with aligned columns, for a terminal and, with bars, for Markdown. */
export function table(section: Section): string {
  const lines = [section.columns, ...section.rows]
  const widths = section.columns.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)))
  const row = (line: readonly string[]) =>
    `| ${line.map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!))).join(' | ')} |`
  const rule = `| ${widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`
  return [row(section.columns), rule, ...section.rows.map(row)].join('\n')
}
