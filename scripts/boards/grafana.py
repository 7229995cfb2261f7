"""Grafana's panels and boards, schema 42."""

WIDTH = 24
STAT, CHART, LIST = (4, 4), (12, 8), (24, 9)


class Board:
    """Collects panels from left to right and top to bottom."""

    def __init__(self, uid, title, description, source, variables):
        self.head = (uid, title, description)
        self.source = {"type": source, "uid": "${datasource}"}
        self.panels, self.x, self.y, self.height = [], 0, 0, 0
        choice = {"type": "datasource", "name": "datasource", "label": "Data source", "query": source}
        shown = {"hide": 0, "includeAll": False, "multi": False, "options": [], "refresh": 1, "regex": ""}
        self.variables = [{**choice, **shown}] + [self.variable(*variable) for variable in variables]

    def variable(self, name, label, query):
        """A choice of label values. Everything is chosen at first, also what lacks the label."""
        return {
            "type": "query", "name": name, "label": label, "datasource": self.source, "definition": query,
            "query": {"query": query, "refId": name}, "hide": 0, "includeAll": True, "allValue": ".*", "multi": True,
            "current": {"selected": True, "text": ["All"], "value": ["$__all"]}, "options": [], "refresh": 2,
            "regex": "", "sort": 1,
        }

    def row(self, title):
        self.wrap()
        place = {"x": 0, "y": self.y, "w": WIDTH, "h": 1}
        self.add({"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": place})
        self.y += 1

    def panel(self, kind, size, title, unit, description, targets, **more):
        """Adds a panel. `more` are keys of the panel, and `custom` and `options` for its kind."""
        width, height = size
        if self.x + width > WIDTH:
            self.wrap()
        defaults = {"unit": unit, "min": 0, "custom": more.pop("custom", {}), "color": {"mode": "palette-classic"}}
        if unit == "percentunit":
            defaults["max"] = 1
        names = "ABCDEFGH"
        targets = [{"refId": ref, "datasource": self.source, **target} for ref, target in zip(names, targets)]
        self.add({
            "type": kind, "title": title, "description": description, "datasource": self.source,
            "gridPos": {"x": self.x, "y": self.y, "w": width, "h": height}, "targets": targets,
            "fieldConfig": {"defaults": defaults, "overrides": []}, "options": more.pop("options", {}), **more,
        })
        self.x += width
        self.height = max(self.height, height)

    def add(self, panel):
        self.panels.append({"id": len(self.panels) + 1, **panel})

    def wrap(self):
        self.x, self.y, self.height = 0, self.y + self.height, 0

    def done(self):
        uid, title, description = self.head
        return {
            "uid": uid, "title": title, "description": description, "tags": ["claude-code", "ccrun"],
            "schemaVersion": 42, "version": 1, "editable": True, "graphTooltip": 1, "timezone": "browser",
            "weekStart": "monday", "refresh": "5m", "time": {"from": "now-7d", "to": "now"}, "timepicker": {},
            "annotations": {"list": []}, "links": [], "templating": {"list": self.variables}, "panels": self.panels,
        }


# What panels of a kind look like.
REDUCED = {"calcs": ["lastNotNull"], "fields": "", "values": False}
STAT_OPTIONS = {
    "colorMode": "value", "graphMode": "none", "justifyMode": "auto", "orientation": "auto",
    "reduceOptions": REDUCED, "textMode": "auto", "wideLayout": True, "showPercentChange": False,
    "percentChangeColorMode": "standard",
}
CHART_OPTIONS = {
    "legend": {"calcs": ["sum"], "displayMode": "table", "placement": "bottom", "showLegend": True},
    "tooltip": {"mode": "multi", "sort": "desc"},
}
BARS = {"drawStyle": "bars", "fillOpacity": 80, "lineWidth": 0, "stacking": {"mode": "normal", "group": "A"}}
LINES = {"drawStyle": "line", "fillOpacity": 0, "lineWidth": 2, "showPoints": "auto", "spanNulls": True}
GAUGE_OPTIONS = {
    "displayMode": "gradient", "orientation": "horizontal", "reduceOptions": REDUCED, "showUnfilled": True,
    "valueMode": "color", "sizing": "auto", "namePlacement": "auto", "minVizWidth": 8, "minVizHeight": 16,
    "maxVizHeight": 300, "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": False},
}
CELLS = {"align": "auto", "inspect": False}
TABLE_OPTIONS = {"cellHeight": "sm", "showHeader": True, "frameIndex": 0}
