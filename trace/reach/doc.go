// Package reach tells who may call whom: one request from all that could send it ([WhoCan]), and many requests from many
// sources ([Matrix]). What it says of each is what a trace of that request says; sources that are equal are walked
// once ([trace.Crowd]).
package reach
