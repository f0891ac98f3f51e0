/* The first-start guide: it opens by itself until an administrator has done its steps or put it away; whether
 * that is so is a setting of the installation, so that it never comes back to anybody. */
import { ref } from 'vue'
import { call, get } from './api'
import { useSession } from './session'

const KEY = 'start.guide_done'
const LATER = 'bihuan.start.later'

/* null: not asked yet, or not the user's affair */
export const guideDone = ref<boolean | null>(null)

export async function askGuide(): Promise<boolean> {
  if (guideDone.value !== null) return guideDone.value
  if (!useSession().may('core.setting.update')) return true
  try {
    const answer = await get<{ items: { key: string; value: unknown }[] }>('core/settings')
    guideDone.value = answer.items.find((one) => one.key === KEY)?.value !== false
  } catch {
    return true /* no guide is better than one in the way */
  }
  return guideDone.value
}

/* Put off for as long as this tab lives; the workbench keeps a line about it. */
export const postponed = (): boolean => sessionStorage.getItem(LATER) === '1'
export function postpone(): void {
  sessionStorage.setItem(LATER, '1')
}

export async function finishGuide(): Promise<void> {
  const answer = await get<{ version: number }>('core/settings')
  await call('PATCH', 'core/settings', { version: answer.version, body: { [KEY]: true } })
  guideDone.value = true
}

export function forgetGuide(): void {
  guideDone.value = null
}
