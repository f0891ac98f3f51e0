/* Decision models as text: what the page reads and changes in the XML by itself, beside dmn-js.
 *
 * dmn-js knows DMN 1.3; a model of another version is shown to it as 1.3, unless it holds an element that came
 * later (then only the grid and the text are offered, for dmn-js would lose that element). */

export const DMN13 = 'https://www.omg.org/spec/DMN/20191111/MODEL/'
const MODELS = ['http://www.omg.org/spec/DMN/20180521/MODEL/', DMN13, 'https://www.omg.org/spec/DMN/20211108/MODEL/', 'https://www.omg.org/spec/DMN/20230324/MODEL/']
const DIAGRAMS = ['http://www.omg.org/spec/DMN/20180521/DMNDI/', 'https://www.omg.org/spec/DMN/20191111/DMNDI/', 'https://www.omg.org/spec/DMN/20230324/DMNDI/']
const LATER = ['conditional', 'filter', 'for', 'some', 'every', 'typeConstraint']

export interface Finding {
  error: boolean
  element: string
  id: string
  line: number
  rule: number
  column: number
  at_line: number
  at_column: number
  code: string
  message: string
  input?: Record<string, unknown>
}
export interface Target {
  id: string
  name: string
  import: string
  kind: string
  type: string
  table: boolean
}
export interface Checked {
  loads: boolean
  findings: Finding[]
  more: number
  decisions?: Target[]
  inputs?: Target[]
  imported?: Target[]
}
/* As a formula calls it. */
export const called = (target: Target) => (target.import ? `${target.import}.${target.name}` : target.name)
export interface TracedTable {
  element: string
  id: string
  inputs: unknown[]
  rules: string[]
  output: unknown
}
export interface Tried {
  value: unknown
  warnings: string[]
  tables: TracedTable[]
  values: { id: string; name: string; given: boolean; value: unknown }[]
}
export interface Version {
  number: number
  state: 'draft' | 'tested' | 'published' | 'retired'
  comment: string
  published_at: string | null
  version: number
  updated_at: string
  model?: string
  imports?: { namespace: string; id: string; code: string; number: number; published: number }[]
}
export interface Decision {
  id: string
  code: string
  title: string
  published: number
  updated_at: string
  versions: Version[]
}

export function forDmnJs(xml: string): string | null {
  const doc = new DOMParser().parseFromString(xml, 'application/xml')
  const root = doc.documentElement
  if (!MODELS.includes(root.namespaceURI ?? '')) return null
  if (LATER.some((name) => root.getElementsByTagNameNS(root.namespaceURI, name).length > 0)) return null
  let text = xml
  for (const ns of MODELS) text = text.replaceAll(`"${ns}"`, `"${DMN13}"`).replaceAll(`'${ns}'`, `'${DMN13}'`)
  for (const ns of DIAGRAMS) text = text.replaceAll(`"${ns}"`, `"${DIAGRAMS[1]}"`).replaceAll(`'${ns}'`, `'${DIAGRAMS[1]}'`)
  return text
}

const escape = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')

/* A model to start with: one input, one table with one column and one rule. */
export function blank(code: string, title: string, words: { input: string; decision: string }): string {
  return `<?xml version="1.0" encoding="UTF-8"?>
<definitions xmlns="${DMN13}" xmlns:dmndi="${DIAGRAMS[1]}" xmlns:dc="http://www.omg.org/spec/DMN/20180521/DC/" xmlns:di="http://www.omg.org/spec/DMN/20180521/DI/" id="definitions" name="${escape(title)}" namespace="urn:bihuan:decision:${escape(code)}">
  <inputData id="input1" name="${escape(words.input)}"><variable id="input1_variable" name="${escape(words.input)}" typeRef="number" /></inputData>
  <decision id="decision1" name="${escape(words.decision)}">
    <variable id="decision1_variable" name="${escape(words.decision)}" typeRef="string" />
    <informationRequirement id="requirement1"><requiredInput href="#input1" /></informationRequirement>
    <decisionTable id="table1" hitPolicy="FIRST">
      <input id="column1"><inputExpression id="expression1" typeRef="number"><text>${escape(words.input)}</text></inputExpression></input>
      <output id="column2" name="${escape(words.decision)}" typeRef="string" />
      <rule id="rule1"><inputEntry id="cell1"><text>-</text></inputEntry><outputEntry id="cell2"><text></text></outputEntry></rule>
    </decisionTable>
  </decision>
  <dmndi:DMNDI><dmndi:DMNDiagram id="diagram1">
    <dmndi:DMNShape id="shape1" dmnElementRef="decision1"><dc:Bounds height="80" width="180" x="160" y="80" /></dmndi:DMNShape>
    <dmndi:DMNShape id="shape2" dmnElementRef="input1"><dc:Bounds height="45" width="125" x="187" y="240" /></dmndi:DMNShape>
    <dmndi:DMNEdge id="edge1" dmnElementRef="requirement1"><di:waypoint x="250" y="240" /><di:waypoint x="250" y="160" /></dmndi:DMNEdge>
  </dmndi:DMNDiagram></dmndi:DMNDI>
</definitions>
`
}

export interface GridCell {
  id: string
  text: string
}
export interface GridRule {
  id: string
  cells: GridCell[]
}
export interface Grid {
  element: string
  hitPolicy: string
  inputs: { id: string; text: string }[]
  outputs: { id: string; text: string }[]
  rules: GridRule[]
}

const children = (node: Element, name: string) => [...node.children].filter((child) => child.localName === name)
const textOf = (node: Element | undefined) => (node ? (children(node, 'text')[0]?.textContent ?? '') : '')

/* A document that is read once and changed in place; its tables as plain rows. */
export class ModelText {
  private doc: Document

  constructor(xml: string) {
    this.doc = new DOMParser().parseFromString(xml, 'application/xml')
  }

  get broken(): boolean {
    return this.doc.getElementsByTagName('parsererror').length > 0
  }

  /* What a formula may name: inputs, decisions, functions, and the parts of what item definitions describe;
   * the values that a type allows, as text. */
  names(): string[] {
    const root = this.doc.documentElement
    const out = new Set<string>()
    const types = new Map(children(root, 'itemDefinition').map((one) => [one.getAttribute('name') ?? '', one]))
    const typeOf = (node: Element | undefined) => node?.getAttribute('typeRef') ?? (node ? (children(node, 'typeRef')[0]?.textContent?.trim() ?? '') : '')
    const parts = (prefix: string, type: Element | undefined, depth: number) => {
      if (!type || depth > 4) return
      for (const one of children(type, 'itemComponent')) {
        const name = one.getAttribute('name') ?? ''
        if (!name) continue
        out.add(name)
        out.add(`${prefix}.${name}`)
        const of = typeOf(one)
        parts(`${prefix}.${name}`, types.get(of) ?? one, depth + 1)
        values(one)
      }
    }
    const values = (type: Element | undefined) => {
      for (const one of type ? children(type, 'allowedValues') : [])
        for (const text of textOf(one).match(/"(?:[^"\\]|\\.)*"/g) ?? []) out.add(text)
    }
    for (const one of root.children) {
      if (!['inputData', 'decision', 'businessKnowledgeModel'].includes(one.localName)) continue
      const name = one.getAttribute('name') ?? ''
      if (!name) continue
      out.add(name)
      const type = types.get(typeOf(children(one, 'variable')[0]))
      parts(name, type, 0)
      values(type)
    }
    return [...out]
  }

  private tables(): { name: string; table: Element }[] {
    return [...this.doc.documentElement.children]
      .filter((one) => one.localName === 'decision' || one.localName === 'businessKnowledgeModel')
      .flatMap((one) => {
        const inner = one.localName === 'decision' ? one : children(one, 'encapsulatedLogic')[0]
        const table = inner && children(inner, 'decisionTable')[0]
        return table ? [{ name: one.getAttribute('name') ?? '', table }] : []
      })
  }

  ruleCount(): number {
    return this.tables().reduce((sum, one) => sum + children(one.table, 'rule').length, 0)
  }

  grids(): Grid[] {
    return this.tables().map(({ name, table }) => ({
      element: name,
      hitPolicy: [table.getAttribute('hitPolicy') ?? 'UNIQUE', table.getAttribute('aggregation')].filter(Boolean).join(' '),
      inputs: children(table, 'input').map((one) => ({ id: one.id, text: textOf(children(one, 'inputExpression')[0]) })),
      outputs: children(table, 'output').map((one) => ({ id: one.id, text: one.getAttribute('name') ?? one.getAttribute('label') ?? '' })),
      rules: children(table, 'rule').map((rule) => ({
        id: rule.id,
        cells: [...children(rule, 'inputEntry'), ...children(rule, 'outputEntry')].map((cell) => ({ id: cell.id, text: textOf(cell) })),
      })),
    }))
  }

  private rules(element: string): { table: Element; rules: Element[] } | null {
    const table = this.tables().find((one) => one.name === element)?.table
    return table ? { table, rules: children(table, 'rule') } : null
  }

  setCell(element: string, rule: number, column: number, text: string): void {
    const row = this.rules(element)?.rules[rule]
    const cell = row && [...children(row, 'inputEntry'), ...children(row, 'outputEntry')][column]
    if (!cell) return
    let node = children(cell, 'text')[0]
    if (!node) node = cell.appendChild(this.doc.createElementNS(cell.namespaceURI, 'text'))
    node.textContent = text
  }

  addRule(element: string, at: number): void {
    const found = this.rules(element)
    if (!found) return
    const ns = found.table.namespaceURI
    const make = (name: string, inner?: string) => {
      const node = this.doc.createElementNS(ns, name)
      node.setAttribute('id', `_${crypto.randomUUID()}`)
      if (inner !== undefined) node.appendChild(this.doc.createElementNS(ns, 'text')).textContent = inner
      return node
    }
    const rule = make('rule')
    children(found.table, 'input').forEach(() => rule.appendChild(make('inputEntry', '-')))
    children(found.table, 'output').forEach(() => rule.appendChild(make('outputEntry', '')))
    found.table.insertBefore(rule, found.rules[at] ?? null)
  }

  removeRule(element: string, at: number): void {
    this.rules(element)?.rules[at]?.remove()
  }

  toString(): string {
    return new XMLSerializer().serializeToString(this.doc)
  }
}
