/// DIFFEO_VERSION_STRING of the header; a test holds the two together.
package let diffeoVersion: StaticString = "0.2.0"
