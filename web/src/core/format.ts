/* The formatter of the words: {name} placeholders and nothing else.  The server has the same one;
 * both pass tests/words-cases.json. */

export type Args = Record<string, string | number>

export function format(text: string, args?: Args): string {
  if (!args) return text
  return text.replace(/\{([^{}]*)\}/g, (whole, name: string) =>
    Object.hasOwn(args, name) ? String(args[name]) : whole,
  )
}
