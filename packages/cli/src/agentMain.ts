/** Placeholder until the agent is here. */
console.log("tracelet agent")
