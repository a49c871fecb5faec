/* Private to the room: a run's folder, held by one run at a time, and what it
 * was begun with (folder.c, identity.c). */
#pragma once
#include "cli/train/run.h"

/* Makes and holds OUT.run; with --restart nothing of an earlier run stays. What
 * a run that was killed left half done goes. False with err set: another run
 * has it, or it was begun with something else. */
bool folder_open(Run *r, Err *err);
void folder_close(Run *r);
/* A folder and all in it; links are not followed. */
void folder_remove(const char *path);

/* Marks OUT.run as having begun, or done, something. */
bool folder_mark(const Run *r, const char *name, Err *err);
bool folder_marked(const Run *r, const char *name);

/* What all results depend on: as kept in run.json, or as it is now. False with
 * err set, naming what changed. */
bool identity_check(Run *r, Err *err);
/* For checks of large files: eight bytes at a time. */
uint64_t hash_words(uint64_t seed, const void *data, size_t len);
