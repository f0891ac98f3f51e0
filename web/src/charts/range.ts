const HOUR = 3600_000

export function rangeMs(range: string): number {
  const n = parseInt(range)
  return (range.endsWith('d') ? 24 * n : n) * HOUR
}
