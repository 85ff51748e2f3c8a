import { settingDocs } from "../../packages/server/src/config.ts";

/** The settings of the server as a table, from the rows of config.ts. */
export function settingsTable(): string {
  const rows = settingDocs().map(({ name, description, defaultText }) => {
    const shown = defaultText === "" ? "" : `\`${defaultText}\``;
    return `| \`${name}\` | ${shown} | ${description.replaceAll("|", "\\|")} |`;
  });
  return ["| variable | default | meaning |", "|---|---|---|", ...rows].join("\n");
}
