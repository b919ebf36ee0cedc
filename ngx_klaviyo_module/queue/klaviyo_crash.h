/*
 * Named points at which tests end the process as kill -9 does.  Without
 * KLAVIYO_CRASH_POINTS, which no build but the tests' own defines, they are
 * nothing.
 *
 * The variable KLAVIYO_CRASH in the environment names a file; its first line
 * is "<point> <n>": the n-th time that any process comes to the point, it
 * removes the file and ends by SIGKILL.  An absent file: go on.
 */


#ifndef KLAVIYO_CRASH_H
#define KLAVIYO_CRASH_H


#ifdef KLAVIYO_CRASH_POINTS

void klaviyo_crash(const char *point);

#else

#define klaviyo_crash(point)  ((void) 0)

#endif


#endif /* KLAVIYO_CRASH_H */
