/* Months as `2026-10`. */
export function shiftMonth(month: string, by: number): string {
  const [y, m] = month.split('-').map(Number)
  const at = y! * 12 + (m! - 1) + by
  return `${Math.floor(at / 12)}-${String((at % 12) + 1).padStart(2, '0')}`
}

/* The month before the one of a day: the last that is complete. */
export const lastMonth = (day: string): string => shiftMonth(day.slice(0, 7), -1)
