/* Questions before something dangerous: the answer is a promise. */
import { shallowRef } from 'vue'

export interface Question {
  title: string
  text: string
  act: string
  /* This text must be typed before the button can be pressed. */
  typed?: string
  /* A remark is asked for; with `need`, it may not be empty. */
  remark?: { title: string; need?: boolean }
  bad?: boolean
  done: (answer: { remark: string } | null) => void
}

export const question = shallowRef<Question | null>(null)

export function ask(one: Omit<Question, 'done'>): Promise<{ remark: string } | null> {
  return new Promise((resolve) => {
    question.value = {
      ...one,
      done: (answer) => {
        question.value = null
        resolve(answer)
      },
    }
  })
}
