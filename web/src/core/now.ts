/* A clock that ticks for all ages and deadlines on the page at once. */
import { ref } from 'vue'

export const now = ref(Date.now())

setInterval(() => {
  if (!document.hidden) now.value = Date.now()
}, 10_000)
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) now.value = Date.now()
})
