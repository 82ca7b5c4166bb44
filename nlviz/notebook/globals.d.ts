/** The viewer's and the notebook's style sheet as text; widget.py puts it before this module. */
declare const STYLE: string;
