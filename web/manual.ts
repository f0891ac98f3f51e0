/* `virtual:manual`: the users' manual (docs/manual/*.md, in English docs/manual/en) as HTML by language and name, so
 * that the product itself serves it.
 * Only what the manual uses is understood: headings, paragraphs, lists, tables, pictures, links, code, bold. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Plugin } from 'vite'

const escape = (text: string) => text.replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c]!)

/* `[[n]]` stands for the address of the n-th picture, which only the build knows. */
export function inline(text: string, picture: (file: string) => string): string {
  const codes: string[] = []
  return escape(text.replace(/`([^`]+)`/g, (_, code: string) => `\u0000${codes.push(code) - 1}\u0000`))
    .replace(/!\[([^\]]*)\]\(([^)]+)\)/g, (_, alt: string, file: string) => `<img src="${picture(file)}" alt="${alt}" loading="lazy">`)
    .replace(/\[([^\]]+)\]\(([a-z]+)\.md\)/g, '<a href="/help/$2">$1</a>')
    .replace(/\*\*([^*]+)\*\*/g, '<strong>$1</strong>')
    .replace(/\u0000(\d+)\u0000/g, (_, n: string) => `<code>${escape(codes[Number(n)]!)}</code>`)
}

export function html(markdown: string, picture: (file: string) => string): string {
  const out: string[] = []
  const lines = markdown.split('\n')
  const of = (text: string) => inline(text, picture)
  for (let i = 0; i < lines.length; ) {
    const line = lines[i]!
    const heading = /^(#{1,3}) (.+)$/.exec(line)
    const list = /^(- |\d+\. )/.exec(line)
    if (!line.trim()) i++
    else if (heading) {
      out.push(`<h${heading[1]!.length}>${of(heading[2]!)}</h${heading[1]!.length}>`)
      i++
    } else if (list) {
      const tag = list[1] === '- ' ? 'ul' : 'ol'
      const items: string[] = []
      while (i < lines.length && (tag === 'ul' ? /^- / : /^\d+\. /).test(lines[i]!)) items.push(`<li>${of(lines[i++]!.replace(/^(- |\d+\. )/, ''))}</li>`)
      out.push(`<${tag}>${items.join('')}</${tag}>`)
    } else if (line.startsWith('|')) {
      const rows: string[] = []
      while (i < lines.length && lines[i]!.startsWith('|')) rows.push(lines[i++]!)
      const cells = (row: string, tag: string) => `<tr>${row.slice(1, row.lastIndexOf('|')).split('|').map((one) => `<${tag}>${of(one.trim())}</${tag}>`).join('')}</tr>`
      out.push(`<table class="list"><thead>${cells(rows[0]!, 'th')}</thead><tbody>${rows.slice(2).map((row) => cells(row, 'td')).join('')}</tbody></table>`)
    } else {
      const text: string[] = []
      while (i < lines.length && lines[i]!.trim() && !/^(#{1,3} |- |\d+\. |\|)/.test(lines[i]!)) text.push(lines[i++]!)
      out.push(`<p>${of(text.join('\n'))}</p>`)
    }
  }
  return out.join('\n')
}

const FOLDERS = { 'zh-CN': '.', en: 'en' }

export function manual(folder: string): Plugin {
  return {
    name: 'manual',
    resolveId: (id) => (id === 'virtual:manual' ? '\0virtual:manual' : undefined),
    load(id) {
      if (id !== '\0virtual:manual') return
      const pictures: string[] = []
      const pages: Record<string, Record<string, string>> = {}
      const files = Object.entries(FOLDERS).flatMap(([lang, of]) => readdirSync(join(folder, of)).filter((name) => name.endsWith('.md')).map((file) => ({ lang, at: join(folder, of), file })))
      for (const { lang, at, file } of files) {
        this.addWatchFile(join(at, file))
        ;(pages[lang] ??= {})[file === 'README.md' ? 'index' : file.slice(0, -3)] = html(readFileSync(join(at, file), 'utf8'), (name) => {
          const path = join(at, name)
          if (!existsSync(path)) this.error(`${file}: there is no ${name}`)
          if (!pictures.includes(path)) pictures.push(path)
          return `[[${pictures.indexOf(path)}]]`
        })
      }
      const imports = pictures.map((path, n) => `import p${n} from ${JSON.stringify(path + '?url')}`).join('\n')
      return `${imports}\nconst pictures = [${pictures.map((_, n) => `p${n}`).join(', ')}]\nconst pages = ${JSON.stringify(pages)}\nfor (const of of Object.values(pages)) for (const name in of) of[name] = of[name].replace(/\\[\\[(\\d+)\\]\\]/g, (_, n) => pictures[n])\nexport default pages`
    },
  }
}
