/* How often a duty recurs, in words: `P1M` each month, `P1W/2` twice a week, `event` when it happens. */
import { t } from './words'

export function intervalText(text: string): string {
  const m = /^P(\d+)([DWMY])(?:\/(\d+))?$/.exec(text)
  if (!m) return text === 'event' || !text ? t('ui.service.event') : text
  const n = Number(m[1])
  const unit = m[2]!.toLowerCase()
  const every = n === 1 ? t(`ui.every.${unit}1`) : n === 3 && unit === 'm' ? t('ui.every.quarter') : n === 6 && unit === 'm' ? t('ui.every.half') : t(`ui.every.${unit}`, { n })
  return m[3] ? t('ui.every.times', { every, n: m[3] }) : every
}
