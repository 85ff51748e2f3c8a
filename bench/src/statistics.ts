/** Numbers out of lists of numbers. Lists need no order and are not changed. */

/** @throws RangeError an empty list */
export function median(values: readonly number[] | Float64Array): number {
  return percentile(values, 50);
}

/**
 * Interpolates between the two nearest ranks, so that the median of two values is their mean.
 *
 * @param percent 0 to 100
 * @throws RangeError an empty list, or a percentage outside its range
 */
export function percentile(values: readonly number[] | Float64Array, percent: number): number {
  if (!(percent >= 0 && percent <= 100)) {
    throw new RangeError(`Expected a percentage of 0 to 100; received ${percent}.`);
  }
  const sorted = Float64Array.from(values).sort();
  const rank = ((sorted.length - 1) * percent) / 100;
  const below = sorted[Math.floor(rank)];
  const above = sorted[Math.ceil(rank)];
  if (below === undefined || above === undefined) {
    throw new RangeError("Expected at least one value; received none.");
  }
  return below + (above - below) * (rank - Math.floor(rank));
}

/** @throws RangeError an empty list */
export function largest(values: readonly number[] | Float64Array): number {
  return percentile(values, 100);
}

/**
 * How steeply values rise: the slope of the straight line that fits them best (least squares).
 *
 * @param points `[x, y]`, at least two with different x
 * @returns y per x
 * @throws RangeError no line is determined
 */
export function slope(points: readonly (readonly [number, number])[]): number {
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / points.length;
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / points.length;
  const spread = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  if (!(spread > 0)) {
    throw new RangeError("Expected at least two points with different x; received fewer.");
  }
  return points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0) / spread;
}
