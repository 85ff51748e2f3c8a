import type { Task } from "@baton/sdk";

import { dataAnalysisTask } from "./data-analysis.ts";
import { echoTask } from "./echo.ts";
import type { AllowedFolder } from "./files/allowed-folder.ts";
import { httpTask } from "./http.ts";
import { imageProcessingTask } from "./image-processing.ts";
import { createNetwork } from "./network/network.ts";
import type { BuiltInTasksOptions } from "./options.ts";
import { shellTask } from "./shell.ts";
import { testSleepTask } from "./test-sleep.ts";
import { webScrapingTask } from "./web-scraping.ts";

/**
 * The built-in tasks of one worker. Nothing heavy is loaded here; each task loads its libraries when its first job runs.
 *
 * @throws Error when an option cannot be used; the message names it
 */
export function builtInTasks(options: BuiltInTasksOptions = {}): readonly Task[] {
  const network = createNetwork(options.network ?? {});
  const files: AllowedFolder = {
    name: "files",
    setting: "BATON_TASKS_FILES_DIRECTORY (filesDirectory)",
    directory: options.filesDirectory,
  };
  const output: AllowedFolder = {
    name: "output",
    setting: "BATON_TASKS_OUTPUT_DIRECTORY (outputDirectory)",
    directory: options.outputDirectory,
  };
  const { shell, analysis } = options;
  return [
    echoTask(),
    testSleepTask(),
    httpTask(network),
    imageProcessingTask({ network, files, output }),
    webScrapingTask(network),
    dataAnalysisTask({ files, memoryMegabytesMax: analysis?.memoryMegabytesMax }),
    ...(shell === undefined ? [] : [shellTask({ shell, files, environment: process.env })]),
  ];
}
