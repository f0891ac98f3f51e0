/* Sound and browser notice for new alarms, each only when the user switched it on. */
import { prefs } from '@/core/prefs'
import { t } from '@/core/words'

let audio: AudioContext | null = null

/* Two short tones; made here, so that no file is needed. */
export function ring(grade: number): void {
  if (!prefs.sound) return
  audio ??= new AudioContext()
  const tones = grade <= 1 ? [880, 660, 880] : grade === 2 ? [740, 590] : [590]
  tones.forEach((frequency, i) => {
    const at = audio!.currentTime + i * 0.22
    const tone = audio!.createOscillator()
    const volume = audio!.createGain()
    tone.frequency.value = frequency
    volume.gain.setValueAtTime(0, at)
    volume.gain.linearRampToValueAtTime(0.18, at + 0.02)
    volume.gain.exponentialRampToValueAtTime(0.001, at + 0.2)
    tone.connect(volume).connect(audio!.destination)
    tone.start(at)
    tone.stop(at + 0.21)
  })
}

export function announce(title: string, text: string): void {
  if (prefs.notice && document.hidden && 'Notification' in window && Notification.permission === 'granted')
    new Notification(title, { body: text, tag: 'bihuan-alarm', icon: '/icon.svg' })
}

export async function switchNotice(on: boolean): Promise<string> {
  if (!on) {
    prefs.notice = false
    return ''
  }
  if (!('Notification' in window)) return t('ui.alarm.notice_none')
  const answer = await Notification.requestPermission()
  prefs.notice = answer === 'granted'
  return prefs.notice ? '' : t('ui.alarm.notice_refused')
}
