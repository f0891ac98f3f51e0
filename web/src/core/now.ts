/* A clock that ticks for all ages and deadlines on the page at once. */
import { ref, watch } from 'vue'

export const now = ref(Date.now())

setInterval(() => {
  if (!document.hidden) now.value = Date.now()
}, 10_000)
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) now.value = Date.now()
})

/* Runs fn whenever so much time has gone by while somebody looks; ends with the component that asks. */
export function every(ms: number, fn: () => void): void {
  let last = Date.now()
  watch(now, (at) => {
    if (at - last < ms) return
    last = at
    fn()
  })
}
