// Counters, gauges and histograms that are cheap to change and bounded in number, and their text format.

export interface Counter {
  /** Adds one, or `by`, which must not be negative. */
  inc(by?: number): void
}

export interface Gauge {
  set(value: number): void
  /** Adds one, or `by`, which may be negative. */
  inc(by?: number): void
  dec(): void
}

export interface Histogram {
  observe(value: number): void
}

/** A metric with at most one label; `with` gives the series of a value, to be kept by whoever uses it often. */
export interface Family<Series> {
  with(labelValue?: string): Series
}

type Kind = 'counter' | 'gauge' | 'histogram'

interface Shown {
  lines(name: string, label: string): string
}

/** Series of one metric past this number share the label value `_other`, so that no caller can grow the memory. */
const maxSeries = 64

class Value implements Counter, Gauge, Shown {
  #value = 0

  inc(by = 1): void {
    this.#value += by
  }

  dec(): void {
    this.#value -= 1
  }

  set(value: number): void {
    this.#value = value
  }

  lines(name: string, label: string): string {
    return `${name}${braces(label)} ${show(this.#value)}\n`
  }
}

class Distribution implements Histogram, Shown {
  readonly #bounds: readonly number[]
  readonly #counts: number[]
  #sum = 0

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
    this.#counts = Array.from({ length: bounds.length + 1 }, () => 0)
  }

  observe(value: number): void {
    let bucket = 0
    while (bucket < this.#bounds.length && value > (this.#bounds[bucket] ?? Infinity)) bucket++
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1
    this.#sum += value
  }

  lines(name: string, label: string): string {
    let total = 0
    let text = ''
    for (const [index, count] of this.#counts.entries()) {
      total += count
      const bound = `le="${show(this.#bounds[index] ?? Infinity)}"`
      text += `${name}_bucket${braces(label, bound)} ${total}\n`
    }
    return `${text}${name}_sum${braces(label)} ${show(this.#sum)}\n${name}_count${braces(label)} ${total}\n`
  }
}

class SeriesFamily<Series extends Shown> implements Family<Series> {
  readonly #series = new Map<string, Series>()
  readonly #label: string | undefined
  readonly #make: () => Series
  readonly header: string
  readonly name: string

  constructor(
    header: { name: string; help: string; kind: Kind },
    label: string | undefined,
    make: () => Series,
  ) {
    this.name = header.name
    this.header = `# HELP ${header.name} ${header.help}\n# TYPE ${header.name} ${header.kind}\n`
    this.#label = label
    this.#make = make
    if (label === undefined) this.with()
  }

  with(labelValue = ''): Series {
    const known = this.#series.get(labelValue)
    if (known) return known
    if (this.#series.size >= maxSeries && labelValue !== '_other') return this.with('_other')
    const series = this.#make()
    this.#series.set(labelValue, series)
    return series
  }

  render(): string {
    let text = this.header
    for (const [value, series] of this.#series) {
      text += series.lines(this.name, this.#label === undefined ? '' : `${this.#label}="${escape(value)}"`)
    }
    return text
  }
}

/** All metrics of one gateway. */
export class MetricRegistry {
  readonly #families = new Map<string, { render(): string }>()
  readonly #beforeRender: (() => void)[] = []

  counter(name: string, help: string, label?: string): Family<Counter> {
    return this.#add(new SeriesFamily({ name, help, kind: 'counter' }, label, () => new Value()))
  }

  /** `kind` is `counter` for a value that only grows but is read from elsewhere. */
  gauge(name: string, help: string, label?: string, kind: 'gauge' | 'counter' = 'gauge'): Family<Gauge> {
    return this.#add(new SeriesFamily({ name, help, kind }, label, () => new Value()))
  }

  /** `bounds` are the upper bounds of the buckets, ascending, without infinity. */
  histogram(name: string, help: string, bounds: readonly number[]): Family<Histogram> {
    return this.#add(
      new SeriesFamily({ name, help, kind: 'histogram' }, undefined, () => new Distribution(bounds)),
    )
  }

  /** Runs before each rendering, to read values that nobody pushes. */
  beforeRender(read: () => void): void {
    this.#beforeRender.push(read)
  }

  /** The Prometheus text exposition format, version 0.0.4. */
  render(): string {
    for (const read of this.#beforeRender) read()
    return [...this.#families.values()].map((family) => family.render()).join('')
  }

  #add<Series extends Shown>(family: SeriesFamily<Series>): SeriesFamily<Series> {
    if (this.#families.has(family.name)) throw new TypeError(`the metric ${family.name} exists`)
    this.#families.set(family.name, family)
    return family
  }
}

const braces = (...labels: string[]): string => {
  const present = labels.filter((label) => label !== '')
  return present.length > 0 ? `{${present.join(',')}}` : ''
}

const show = (value: number): string => (value === Infinity ? '+Inf' : String(value))

const escape = (text: string): string =>
  text
    .replaceAll('\\', String.raw`\\`)
    .replaceAll('\n', String.raw`\n`)
    .replaceAll('"', String.raw`\"`)
