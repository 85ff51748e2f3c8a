// The package is CommonJS and exports one function; its own types say something else under Node's module rules.
declare module "robots-parser" {
  interface Robots {
    /** Undefined for a URL of another origin. */
    isAllowed(url: string, userAgent: string): boolean | undefined;
  }
  function robotsParser(url: string, text: string): Robots;
  export = robotsParser;
}
