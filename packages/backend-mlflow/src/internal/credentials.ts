/** Who asks: user and password, or a token, from the config or from MLflow's file of credentials. */
import { readFileSync } from "node:fs"
import { homedir } from "node:os"
import { join } from "node:path"
import * as Redacted from "effect/Redacted"
import type { MlflowConfig } from "../MlflowConfig.ts"

/** The header `authorization`; `undefined` where nobody is named. User and password win over a token, as in MLflow's own client. */
export const authorization = (config: MlflowConfig): Redacted.Redacted | undefined => {
  const { password, token, username } = config
  if (username !== undefined && password !== undefined) return basic(username, Redacted.value(password))
  if (token !== undefined) return Redacted.make(`Bearer ${Redacted.value(token)}`)
  const file = readCredentials(config.credentialsFile ?? join(homedir(), ".mlflow", "credentials"))
  const user = username ?? file["mlflow_tracking_username"]
  const secret = password === undefined ? file["mlflow_tracking_password"] : Redacted.value(password)
  return user === undefined || secret === undefined ? undefined : basic(user, secret)
}

const basic = (username: string, password: string): Redacted.Redacted =>
  Redacted.make(`Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`)

/** Keys of the section [mlflow]; none where there is no such file. */
const readCredentials = (file: string): Readonly<Record<string, string>> => {
  try {
    return parseCredentials(readFileSync(file, "utf8"))
  } catch {
    return {}
  }
}

/** The subset of Python's `configparser` that MLflow writes and documents. */
const parseCredentials = (text: string): Readonly<Record<string, string>> => {
  const entries: Array<readonly [string, string]> = []
  let section = ""
  for (const line of text.split(/\r?\n/)) {
    const [, name] = /^\s*\[([^\]]+)\]\s*$/.exec(line) ?? []
    if (name !== undefined) section = name
    const [, key, value] = /^\s*([^\s=:#;][^=:]*?)\s*[=:]\s*(.*?)\s*$/.exec(line) ?? []
    if (section === "mlflow" && key !== undefined && value !== undefined) entries.push([key.toLowerCase(), value])
  }
  return Object.fromEntries(entries)
}
