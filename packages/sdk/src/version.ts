/** Of this package; a test keeps it equal to package.json. */
export const VERSION = "0.1.0";
/** How this package introduces itself to servers. */
export const SDK = `baton-sdk-js/${VERSION}`;
