// A line over time (uPlot), with the same figures as a table for who cannot see it.
import { useEffect, useRef } from 'react'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'

interface Point {
  /** Milliseconds. */
  readonly at: number
  readonly value: number
}

interface TimeChartProps {
  readonly name: string
  readonly points: readonly Point[]
}

export function TimeChart({ name, points }: TimeChartProps) {
  const place = useRef<HTMLDivElement>(null)
  useEffect(() => {
    const { current } = place
    if (!current) return undefined
    const chart = new uPlot(optionsOf(name, current), dataOf(points), current)
    const observer = new ResizeObserver(([entry]) => {
      if (entry) chart.setSize({ width: entry.contentRect.width, height })
    })
    observer.observe(current)
    return () => {
      observer.disconnect()
      chart.destroy()
    }
  }, [name, points])
  return (
    <figure>
      <div ref={place} aria-hidden="true" className="chart" />
      <table className="hidden">
        <caption>{name}</caption>
        <tbody>
          {points.map(({ at, value }) => (
            <tr key={at}>
              <th scope="row">{new Date(at).toISOString().slice(0, 10)}</th>
              <td>{value}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </figure>
  )
}

const height = 220

function optionsOf(name: string, place: HTMLElement): uPlot.Options {
  const look = getComputedStyle(place)
  const line = look.getPropertyValue('--accent')
  const grid = { stroke: look.getPropertyValue('--line'), width: 1 }
  const axis = { stroke: look.getPropertyValue('--quiet'), grid, ticks: grid }
  return {
    width: place.clientWidth,
    // A point is a calendar day, wherever that begins.
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), 'UTC'),
    height,
    legend: { show: false },
    cursor: { y: false },
    scales: { y: { range: (_, __, most) => [0, most * 1.1 || 1] } },
    axes: [axis, { ...axis, size: 64 }],
    series: [
      {},
      { label: name, stroke: line, width: 2, fill: `color-mix(in srgb, ${line} 15%, transparent)` },
    ],
  }
}

const dataOf = (points: readonly Point[]): uPlot.AlignedData => [
  points.map(({ at }) => at / 1000),
  points.map(({ value }) => value),
]
