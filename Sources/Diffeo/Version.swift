/// DIFFEO_VERSION_STRING of the header, from which scripts/generate-interface writes it.
package let diffeoVersion: StaticString = "0.2.0"
