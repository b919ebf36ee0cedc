/*
 * What the HTML parser of libxml2 sees in pages, as t/pages/ours.c prints it:
 *
 *     libxml2 FOLDER
 *
 * It knows neither <template>, whose content is not of the page, nor that no
 * element is in a <textarea>; and no charset but what it is told.
 */


#include <stdio.h>
#include <string.h>

#include <jansson.h>
#include <libxml/HTMLparser.h>


static const char *
attribute(xmlNode *node, const char *name)
{
    xmlAttr  *attr;

    for (attr = node->properties; attr; attr = attr->next) {
        if (xmlStrcasecmp(attr->name, (const xmlChar *) name) == 0) {
            return attr->children && attr->children->content
                   ? (const char *) attr->children->content : "";
        }
    }

    return NULL;
}


static int
is(xmlNode *node, const char *name)
{
    return xmlStrcasecmp(node->name, (const xmlChar *) name) == 0;
}


static void
add(json_t *seen, const char *what, const char *name, const char *value)
{
    json_array_append_new(seen, json_pack("[sss]", what, name, value));
}


/* the text of what is below, but of scripts and styles */

static void
gather(xmlNode *node, xmlBuffer *text)
{
    for (node = node->children; node; node = node->next) {

        if (node->type == XML_TEXT_NODE || node->type == XML_CDATA_SECTION_NODE)
        {
            xmlBufferCat(text, node->content);

        } else if (node->type == XML_ELEMENT_NODE && !is(node, "script")
                   && !is(node, "style"))
        {
            gather(node, text);
        }
    }
}


static void
told(json_t *seen, const char *what, const char *name, xmlNode *node,
    int raw)
{
    xmlNode    *child;
    xmlBuffer  *text;

    text = xmlBufferCreate();

    if (raw) {
        for (child = node->children; child; child = child->next) {
            xmlBufferCat(text, child->content);
        }

    } else {
        gather(node, text);
    }

    add(seen, what, name, (const char *) xmlBufferContent(text));
    xmlBufferFree(text);
}


static void
property(json_t *seen, xmlNode *node, const char *name)
{
    size_t       i;
    const char  *value;

    static const char  *of[][2] = {
        { "a", "href" }, { "area", "href" }, { "link", "href" },
        { "audio", "src" }, { "embed", "src" }, { "iframe", "src" },
        { "img", "src" }, { "source", "src" }, { "track", "src" },
        { "video", "src" }, { "data", "value" }, { "input", "value" },
        { "meter", "value" }
    };

    value = attribute(node, "content");

    for (i = 0; value == NULL && i < sizeof(of) / sizeof(of[0]); i++) {
        if (is(node, of[i][0])) {
            value = attribute(node, of[i][1]);

            if (value == NULL) {
                return;
            }
        }
    }

    if (value == NULL && is(node, "time")) {
        value = attribute(node, "datetime");
    }

    if (value) {
        add(seen, "property", name, value);

    } else {
        told(seen, "property", name, node, 0);
    }
}


static void
walk(xmlNode *node, json_t *seen, int *titled, int drawing)
{
    const char  *name, *value;

    for ( /* void */ ; node; node = node->next) {

        if (node->type != XML_ELEMENT_NODE || is(node, "template")
            || is(node, "textarea"))
        {
            continue;
        }

        name = attribute(node, "itemprop");

        if (name && *name && attribute(node, "itemscope") == NULL) {
            property(seen, node, name);
        }

        if (is(node, "meta")) {
            name = attribute(node, "property");
            name = name && *name ? name : attribute(node, "name");
            value = attribute(node, "content");

            if (name && *name && value) {
                add(seen, "meta", name, value);
            }

        } else if (is(node, "link")) {
            name = attribute(node, "rel");
            value = attribute(node, "href");

            if (name && value && strcasecmp(name, "canonical") == 0) {
                add(seen, "canonical", "", value);
            }

        } else if (is(node, "title") && !*titled && !drawing) {
            *titled = 1;
            told(seen, "title", "", node, 0);

        } else if (is(node, "script")) {
            name = attribute(node, "type");

            if (name && strcasecmp(name, "application/ld+json") == 0) {
                told(seen, "jsonld", "", node, 1);

            } else if (node->children
                       && strncmp((const char *) node->children->content,
                                  "var eContext = ", 15)
                          == 0)
            {
                told(seen, "econtext", "", node, 1);
            }
        }

        walk(node->children, seen, titled, drawing || is(node, "svg"));
    }
}


int
main(int argc, char **argv)
{
    int        titled;
    FILE      *manifest;
    char       path[4096], name[256], uri[256], charset[64];
    json_t    *all, *seen;
    htmlDocPtr  doc;

    snprintf(path, sizeof(path), "%s/manifest", argc > 1 ? argv[1] : ".");
    manifest = fopen(path, "r");

    if (manifest == NULL) {
        perror(path);
        return 1;
    }

    all = json_object();

    while (fscanf(manifest, "%255s %255s %63s", name, uri, charset) == 3) {

        snprintf(path, sizeof(path), "%s/%s", argv[1], name);

        doc = htmlReadFile(path, strcmp(charset, "-") == 0 ? NULL : charset,
                           HTML_PARSE_RECOVER|HTML_PARSE_NOERROR
                           |HTML_PARSE_NOWARNING|HTML_PARSE_NONET
                           |HTML_PARSE_COMPACT);
        seen = json_array();
        titled = 0;

        if (doc) {
            walk(xmlDocGetRootElement(doc), seen, &titled, 0);
            xmlFreeDoc(doc);
        }

        json_object_set_new(all, name, json_pack("{so}", "seen", seen));
    }

    fclose(manifest);
    json_dumpf(all, stdout, JSON_COMPACT);
    json_decref(all);
    xmlCleanupParser();

    return 0;
}
