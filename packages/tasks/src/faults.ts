import { Fatal } from "@baton/sdk";

/** Why a job of a built-in task cannot succeed, however often it is tried. docs/tasks.md explains each. */
export const FAULT_CODES = [
  "address_refused",
  "analysis_failed",
  "command_refused",
  "command_unusable",
  "file_too_large",
  "file_unusable",
  "folder_not_configured",
  "http_status",
  "image_too_large",
  "image_unreadable",
  "memory_exceeded",
  "page_unreadable",
  "path_refused",
  "response_too_large",
  "result_too_large",
  "robots_disallowed",
  "selector_invalid",
  "sql_refused",
  "told_to_fail",
  "too_many_redirects",
  "url_refused",
] as const;
export type FaultCode = (typeof FAULT_CODES)[number];

/** The error that ends a job at once: `throw fatal("path_refused", "…")`. */
export function fatal(code: FaultCode, message: string, options: ErrorOptions = {}): Fatal {
  return new Fatal(message, { ...options, code });
}
