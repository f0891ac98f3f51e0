/* The two figures of the top bar: open alarms and my tasks.  Asked for once, then again on news. */
import { reactive } from 'vue'
import { get } from '@/core/api'

export const counts = reactive<{ alarms: number | null; tasks: number | null; notices: number | null }>({
  alarms: null,
  tasks: null,
  notices: null,
})

interface Counted {
  count?: number
  items?: unknown[]
}

let timer = 0

export function recount(): void {
  clearTimeout(timer)
  timer = window.setTimeout(() => {
    void get<{ open: number; acked: number }>('core/alarms/count')
      .then((a) => (counts.alarms = a.open + a.acked))
      .catch(() => (counts.alarms = null))
    void get<Counted>('core/tasks', { mine: 1, count: 1 })
      .then((a) => (counts.tasks = a.count ?? a.items?.length ?? 0))
      .catch(() => (counts.tasks = null))
    void get<Counted>('core/notices', { unread: 1, count: 1 })
      .then((a) => (counts.notices = a.count ?? a.items?.length ?? 0))
      .catch(() => (counts.notices = null))
  }, 300)
}
