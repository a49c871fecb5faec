/* Private to the room: the library's files, part of the binary (made from
 * stdlib/ by scripts/embed.cmake). */
#pragma once

typedef struct {
    const char *name, *text;
} LibraryFile;
extern const LibraryFile library[]; /* ends with a NULL name */
