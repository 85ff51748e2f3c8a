export { builtInTasks } from "./registry.ts";
export { loadTasks, TasksNotLoaded } from "./load-tasks.ts";
export { optionsFromEnvironment } from "./options.ts";
export type { AnalysisOptions, BuiltInTasksOptions } from "./options.ts";
export type { NetworkOptions } from "./network/address-policy.ts";
export type { ShellOptions } from "./shell.ts";
