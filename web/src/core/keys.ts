/* The keyboard layer.  A screen registers its keys while it is mounted; the newest registration of a key
 * wins.  Keys without a modifier do nothing while one types, and `?` lists all that hold now. */
import { onBeforeUnmount, onMounted, shallowReactive } from 'vue'

export interface Key {
  key: string /* as in KeyboardEvent.key; 'mod+k' with Ctrl or Command */
  title: string /* word key */
  run: (event: KeyboardEvent) => void
  typing?: boolean /* also while typing */
  when?: () => boolean
}

const stack = shallowReactive<Key[][]>([])

export function activeKeys(): Key[] {
  const seen = new Map<string, Key>()
  for (let i = stack.length - 1; i >= 0; i--) for (const key of stack[i]!) if (!seen.has(key.key)) seen.set(key.key, key)
  return [...seen.values()]
}

function typing(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) &&
    !(target instanceof HTMLInputElement && /^(checkbox|radio|button)$/.test(target.type))
  )
}

function onKey(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.isComposing || event.altKey) return
  const mod = event.ctrlKey || event.metaKey
  const name = (mod ? 'mod+' : '') + (event.key.length === 1 ? event.key.toLowerCase() : event.key)
  const inField = typing(event.target)
  for (let i = stack.length - 1; i >= 0; i--)
    for (const key of stack[i]!) {
      if (key.key !== name || (inField && !key.typing && !mod) || (key.when && !key.when())) continue
      event.preventDefault()
      key.run(event)
      return
    }
}

window.addEventListener('keydown', onKey)

export function useKeys(keys: Key[]): void {
  onMounted(() => stack.push(keys))
  onBeforeUnmount(() => {
    const at = stack.indexOf(keys)
    if (at >= 0) stack.splice(at, 1)
  })
}
