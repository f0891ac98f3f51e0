/* Of many rows only those in sight are drawn; spacers stand for the others.  Heights are known beforehand, so
 * nothing jumps. */
import { computed, onBeforeUnmount, onMounted, ref, watch, type Ref } from 'vue'

const MARGIN = 600 /* px drawn beyond either end, so that scrolling finds rows */
const STEP = 400 /* px between two drawings: what is within the margin needs none */
const FEW = 120 /* so many are drawn whole: the browser's own search finds them */

export function useWindow(scroller: Ref<HTMLElement | null | undefined>, count: () => number, heightOf: (index: number) => number) {
  const top = ref(0)
  const seen = ref(900)
  /* offsets[i]: where row i begins */
  const offsets = computed(() => {
    const n = count()
    const out = new Float64Array(n + 1)
    for (let i = 0; i < n; i++) out[i + 1] = out[i]! + heightOf(i)
    return out
  })
  function at(y: number): number {
    const list = offsets.value
    let [low, high] = [0, list.length - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if (list[middle + 1]! <= y) low = middle + 1
      else high = middle
    }
    return low
  }
  const range = computed(() => {
    const n = count()
    if (n <= FEW) return { from: 0, to: n, before: 0, after: 0 }
    const from = at(Math.max(0, top.value - MARGIN))
    const to = Math.min(n, at(top.value + STEP + seen.value + MARGIN) + 1)
    return { from, to, before: offsets.value[from]!, after: offsets.value[n]! - offsets.value[to]! }
  })
  let frame = 0
  function onScroll() {
    if (frame) return
    frame = requestAnimationFrame(() => {
      frame = 0
      if (!scroller.value) return
      top.value = Math.floor(scroller.value.scrollTop / STEP) * STEP
      seen.value = scroller.value.clientHeight
    })
  }
  let held: HTMLElement | null = null
  let observer: ResizeObserver | null = null
  function hold(element: HTMLElement | null | undefined) {
    held?.removeEventListener('scroll', onScroll)
    observer?.disconnect()
    held = element ?? null
    held?.addEventListener('scroll', onScroll, { passive: true })
    if (held) observer?.observe(held)
    onScroll()
  }
  onMounted(() => {
    observer = new ResizeObserver(onScroll)
    hold(scroller.value)
  })
  watch(scroller, hold)
  onBeforeUnmount(() => {
    hold(null)
    cancelAnimationFrame(frame)
  })
  /* Brings a row into sight, drawn or not. */
  function reveal(index: number, head = 32) {
    const box = scroller.value
    if (!box || index < 0) return
    const from = offsets.value[index]!
    const to = offsets.value[index + 1]! + head
    if (from < box.scrollTop) box.scrollTop = from
    else if (to > box.scrollTop + box.clientHeight) box.scrollTop = to - box.clientHeight
  }
  return { range, reveal }
}
