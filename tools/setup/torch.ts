/**
 * Which build of PyTorch pip would take, asked before gigabytes are fetched.
 *
 * From the Python index alone, Linux gets the build with CUDA. With PyTorch's own CPU index as an extra one it gets the
 * CPU build (`2.13.0+cpu` sorts above `2.13.0`), macOS its ordinary wheel, and a machine whose pip is configured with a
 * local wheel takes that: one line for all three.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { StepError, type Report } from "./steps.mjs"

const cpuIndex = process.env["TRACELET_TORCH_INDEX"] ?? "https://download.pytorch.org/whl/cpu"
const wantsCuda = process.env["TRACELET_TORCH_CUDA"] === "1"

/** An index that swallows packets would cost pip a time-out for every package, so it is asked once. */
const indexAnswerMs = 3000

const PipReport = Schema.fromJsonString(
  Schema.Struct({
    install: Schema.Array(
      Schema.Struct({
        metadata: Schema.Struct({ name: Schema.String }),
        download_info: Schema.Struct({ url: Schema.String })
      })
    )
  })
)

const answers = (url: string): Promise<boolean> =>
  fetch(url, { method: "HEAD", signal: AbortSignal.timeout(indexAnswerMs) }).then(
    (response) => response.ok,
    () => false
  )

const bytesOf = async (url: string): Promise<number> => {
  try {
    const response = await fetch(url, { method: "HEAD", signal: AbortSignal.timeout(indexAnswerMs) })
    return Number(response.headers.get("content-length") ?? 0)
  } catch {
    return 0
  }
}

/** The options for `pip install` that get the right build; fails where that would be CUDA and nobody asked for it. */
export const chooseTorch = async (
  requirement: string,
  pip: (args: ReadonlyArray<string>) => Promise<string>,
  report: Report
): Promise<ReadonlyArray<string>> => {
  report(`asking ${cpuIndex}`)
  const options = ["--retries", "1", "--timeout", "10"]
  if (!wantsCuda && (await answers(`${cpuIndex.replace(/\/$/, "")}/torch/`)))
    options.push("--extra-index-url", cpuIndex)
  if (wantsCuda) return options

  const folder = mkdtempSync(join(tmpdir(), "tracelet-torch-"))
  try {
    const file = join(folder, "report.json")
    await pip(["install", "--dry-run", "--quiet", "--report", file, ...options, requirement])
    const { install } = await Effect.runPromise(Schema.decodeEffect(PipReport)(readFileSync(file, "utf8")))
    const cuda = install.filter(({ metadata: { name } }) => name.startsWith("nvidia-") || name === "triton")
    if (cuda.length === 0) return options
    const bytes = await Promise.all(cuda.map(({ download_info: { url } }) => bytesOf(url)))
    const gigabytes = bytes.reduce((sum, size) => sum + size, 0) / 1e9
    throw new StepError(
      `pip would take the CUDA build with ${cuda.length} packages more` +
        `${gigabytes > 0 ? `, ${gigabytes.toFixed(1)} GB to download` : ""}. ` +
        "TRACELET_TORCH_CUDA=1 takes it; TRACELET_TORCH_INDEX names an index with CPU builds"
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
