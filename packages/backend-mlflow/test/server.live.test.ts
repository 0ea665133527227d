import { describe, expect, it } from "vitest"
import { isInstalled, start } from "./support/server.ts"
import { shared } from "./support/shared.ts"

describe.skipIf(!isInstalled)("the test server", () => {
  it("is the version that the package is written against", async () => {
    const { uri } = await shared()
    expect(await (await fetch(`${uri}/version`)).text()).toBe("3.18.0")
  })

  it("keeps what it was given when it is killed and started again on its port", async () => {
    const server = await start()
    try {
      const made = await server.python(
        'import json, mlflow\nrun = mlflow.MlflowClient().create_run("0")\nprint(json.dumps(run.info.run_id))'
      )
      await server.kill()
      await server.restart()
      const found = await server.python(
        'import json, mlflow\nprint(json.dumps([run.info.run_id for run in mlflow.MlflowClient().search_runs(["0"])]))'
      )
      expect(found).toEqual([made])
    } finally {
      await server.stop()
    }
  })
})
