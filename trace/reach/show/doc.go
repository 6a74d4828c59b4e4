// Package show makes what [reach] tells ready for people and programs: text, tables, and documents of the contract's shape.
// Text from resources is escaped by the rules of where it goes.
package show
