/* The two figures of the top bar: open alarms and my tasks.  Asked for once, then again on news. */
import { reactive } from 'vue'
import { get } from '@/core/api'

export const counts = reactive<{ alarms: number | null; worst: number; tasks: number | null; notices: number | null }>({
  alarms: null,
  worst: 0,
  tasks: null,
  notices: null,
})

interface Counted {
  count?: number
  items?: { grade?: number }[]
}

let timer = 0

export function recount(): void {
  clearTimeout(timer)
  timer = window.setTimeout(() => {
    void get<Counted>('core/alarms', { state: 'open,acked', count: 1 })
      .then((a) => (counts.alarms = a.count ?? a.items?.length ?? 0))
      .catch(() => (counts.alarms = null))
    void get<Counted>('core/tasks', { mine: 1, count: 1 })
      .then((a) => (counts.tasks = a.count ?? a.items?.length ?? 0))
      .catch(() => (counts.tasks = null))
    void get<Counted>('core/notices', { unread: 1, count: 1 })
      .then((a) => (counts.notices = a.count ?? a.items?.length ?? 0))
      .catch(() => (counts.notices = null))
  }, 300)
}
