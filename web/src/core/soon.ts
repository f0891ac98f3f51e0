/* A call that waits until it has been quiet for a while: a burst of keys or of news is one question.  It dies
 * with the component (or scope) that made it. */
import { getCurrentScope, onScopeDispose } from 'vue'

export function soon(ms: number, fn: () => void): () => void {
  let timer = 0
  if (getCurrentScope()) onScopeDispose(() => clearTimeout(timer))
  return () => {
    clearTimeout(timer)
    timer = window.setTimeout(fn, ms)
  }
}
