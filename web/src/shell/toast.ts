/* Short messages at the lower edge: what was done, with a way back where there is one; and errors. */
import { shallowReactive } from 'vue'
import { Problem } from '@/core/api'
import { problemText } from '@/core/problem'

export interface Toast {
  id: number
  text: string
  hint?: string
  bad?: boolean
  action?: { title: string; run: () => void }
}

export const toasts = shallowReactive<Toast[]>([])
let last = 0

export function toast(text: string, more: Omit<Toast, 'id' | 'text'> = {}): void {
  const one = { id: ++last, text, ...more }
  toasts.push(one)
  if (toasts.length > 4) toasts.shift()
  setTimeout(() => dropToast(one.id), more.bad ? 12_000 : more.action ? 8_000 : 4_000)
}

export function dropToast(id: number): void {
  const at = toasts.findIndex((one) => one.id === id)
  if (at >= 0) toasts.splice(at, 1)
}

export function toastProblem(cause: unknown): void {
  if (cause instanceof DOMException && cause.name === 'AbortError') return
  if (cause instanceof Problem) {
    if (cause.status === 401) return
    const { what, todo } = problemText(cause)
    toast(what, { hint: [todo, cause.instance].filter(Boolean).join('  '), bad: true })
  } else {
    console.error(cause)
    toast(problemText(new Problem(-1, {})).what, { hint: problemText(new Problem(-1, {})).todo, bad: true })
  }
}
