/** Twenty seconds of what `npm run soak` does for ten minutes. */
import { expect, it } from "vitest"
import { judge, soak } from "./soak/soak.ts"

it(
  "a trainer at 5,000 points a second: memory stays, the store keeps up, every point arrives",
  { timeout: 180_000 },
  async () => {
    const options = { rate: 5_000, seconds: 20, checkpointMb: 64 }
    const result = await soak(options)
    expect(result.samples.length).toBe(20)
    expect(judge(result, options).filter(({ isMet }) => !isMet)).toEqual([])
  }
)
