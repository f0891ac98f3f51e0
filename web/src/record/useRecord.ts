/* One record with its type and version. */
import { shallowRef, ref, watch, type Ref } from 'vue'
import { call } from '@/core/api'
import { loadType, type RecordType, type Row } from '@/core/types'
import { lang, t } from '@/core/words'

export interface OneRecord {
  type: Ref<RecordType | null>
  row: Ref<Row | null>
  version: Ref<string>
  problem: Ref<unknown>
  load: () => Promise<void>
}

export function useRecord(pack: string, name: string, id: () => string | undefined): OneRecord {
  const type = shallowRef<RecordType | null>(null)
  const row = shallowRef<Row | null>(null)
  const version = ref('')
  const problem = shallowRef<unknown>(null)

  async function load() {
    try {
      const one = id()
      const [loaded, answer] = await Promise.all([
        loadType(pack, name, t),
        one ? call<Row>('GET', `${pack}/${name}/${one}`, { params: { labels: 1 } }) : null,
      ])
      type.value = loaded
      if (answer) {
        row.value = answer.data
        version.value = answer.version ?? String(answer.data.version ?? '')
      }
      problem.value = null
    } catch (cause) {
      problem.value = cause
    }
  }
  watch(lang, load)
  void load()
  return { type, row, version, problem, load }
}
