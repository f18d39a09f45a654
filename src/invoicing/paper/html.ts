// An invoice as one self-contained page: no script, nothing loaded from elsewhere, and it prints well.
import { createHash } from 'node:crypto'
import type { Sheet } from './sheet.ts'

const style = `@page{size:A4;margin:18mm}*{box-sizing:border-box}
body{font:14px/1.45 system-ui,-apple-system,"Segoe UI","Noto Sans",sans-serif;color:#1a1a1a;background:#fff;margin:0 auto;
max-width:54rem;padding:2rem 1.5rem}h1{font-size:1.7rem;margin:0 0 1rem}header{display:flex;gap:2rem;
justify-content:space-between;flex-wrap:wrap;margin-bottom:1.5rem}header>*{flex:1 1 14rem}address{font-style:normal;overflow-wrap:anywhere}
h2{font-size:.75rem;text-transform:uppercase;letter-spacing:.06em;color:#555;margin:0 0 .25rem}
.banner{border:2px solid currentColor;color:#9a3412;padding:.5rem .75rem;font-weight:600;margin:0 0 1.5rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:0}dt{color:#555}dd{margin:0;
overflow-wrap:anywhere}table{width:100%;border-collapse:collapse;margin:1.5rem 0}thead{display:table-header-group}
tr{break-inside:avoid}th{text-align:left;font-size:.8rem;color:#555;border-bottom:1.5px solid #1a1a1a;padding:.35rem .5rem}
td{padding:.45rem .5rem;border-bottom:1px solid #ddd;vertical-align:top;overflow-wrap:anywhere}
td small{display:block;color:#555}.n{text-align:right;white-space:nowrap;overflow-wrap:normal;
font-variant-numeric:tabular-nums}.totals{width:auto;margin-left:auto;min-width:55%}.totals td{border:0;padding:.2rem .5rem}
.totals .strong{font-weight:700;border-top:1px solid #1a1a1a}footer{color:#444;font-size:.85rem;overflow-wrap:anywhere}
footer p{margin:.2rem 0}a{color:inherit}@media print{body{padding:0;max-width:none}a{text-decoration:none}}`

/** The page's content security policy: its own style and nothing else. */
export const htmlPolicy = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'`

/** `baseUrl` goes before the paths of the calls behind a row. */
export function renderHtml(sheet: Sheet, baseUrl: string): string {
  const { title, banner, seller, customer, facts, rows, totals, notes } = sheet
  const policy = escapeHtml(htmlPolicy.replace(" frame-ancestors 'none';", ''))
  const cells = rows.map(({ description, detail, quantity, unitPrice, amount, usage }) => {
    const text = escapeHtml(description)
    const what = usage === undefined ? text : `<a href="${escapeHtml(baseUrl + usage)}">${text}</a>`
    const small = detail === '' ? '' : `<small>${escapeHtml(detail)}</small>`
    const numbers = [quantity, unitPrice, amount].map((value) => `<td class="n">${escapeHtml(value)}</td>`)
    return `<tr><td>${what}${small}</td>${numbers.join('')}</tr>`
  })
  const sums = totals.map(
    ({ label, amount, isStrong }) =>
      `<tr${isStrong ? ' class="strong"' : ''}><td>${escapeHtml(label)}</td><td class="n">${escapeHtml(amount)}</td></tr>`,
  )
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escapeHtml(title)}</title>
<meta name="viewport" content="width=device-width"><meta http-equiv="content-security-policy" content="${policy}">
<style>${style}</style></head><body>
<h1>${escapeHtml(title)}</h1>
${banner === undefined ? '' : `<p class="banner">${escapeHtml(banner)}</p>\n`}<header>
<address><h2>From</h2>${lines(seller)}</address>
<address><h2>To</h2>${lines(customer)}</address>
<dl>${facts.map(([label, value]) => `<dt>${escapeHtml(label)}</dt><dd>${escapeHtml(value)}</dd>`).join('')}</dl>
</header>
<table><thead><tr><th>Description</th><th class="n">Calls</th><th class="n">Unit price</th><th class="n">Amount</th></tr></thead>
<tbody>
${cells.join('\n')}
</tbody></table>
<table class="totals"><tbody>
${sums.join('\n')}
</tbody></table>
<footer>${notes.map((note) => `<p>${escapeHtml(note)}</p>`).join('\n')}</footer>
</body></html>
`
}

const lines = (texts: readonly string[]): string => texts.map(escapeHtml).join('<br>')

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

const escapeHtml = (text: string): string =>
  text.replaceAll(/[&<>"']/g, (character) => entities[character] ?? '')
