import { rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import * as MlflowName from "@tracelet/backend-mlflow/MlflowName"
import { isInstalled } from "./support/server.ts"
import { shared } from "./support/shared.ts"

/** Those of the names in a file that MLflow's own validation refuses. */
const refused = `
import json, sys
from mlflow.exceptions import MlflowException
from mlflow.utils.validation import _validate_metric_name, _validate_param_name, _validate_tag_name
def refuses(name):
    try:
        for validate in (_validate_metric_name, _validate_param_name, _validate_tag_name):
            validate(name)
    except MlflowException:
        return True
print(json.dumps([name for name in json.load(open(sys.argv[1])) if refuses(name)]))
`

describe.skipIf(!isInstalled)("MlflowName, by MLflow's own validation", () => {
  it("makes a legal name of every character, alone and at an end, and of every path", async () => {
    const characters = Array.from({ length: 0x1_0000 }, (_, code) => String.fromCodePoint(code))
    const beyond = Array.from({ length: 0x400 }, (_, index) => String.fromCodePoint(0x1_0000 + index * 0x400))
    const parts = ["", "a", ".", "..", "...", ".a", "a.", " "]
    const paths = parts.flatMap((a) => parts.flatMap((b) => parts.map((c) => [a, b, c].join("/"))))
    const names = [...characters, ...beyond, ...paths].map((name) => MlflowName.key(name))
    const file = join(tmpdir(), `tracelet-names-${process.pid}.json`)
    writeFileSync(file, JSON.stringify([...names, "@"]))
    try {
      const { python } = await shared()
      // The last is there to see that anything is refused.
      expect(await python(refused, file)).toEqual(["@"])
    } finally {
      rmSync(file)
    }
  })
})
