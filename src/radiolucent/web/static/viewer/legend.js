// The words and the strip of colours that stand with every overlay: what it is, whose, on which scale.

import { gradient } from './colours.js';

/** @param {import('./pane.js').Shown} shown @param {import('./pane.js').Pane} pane @param {string} note how the prior is registered */
export function legend({ finding, heat }, pane, note) {
  const low = (pane.floor(finding) * finding.display_scale).toFixed(2);
  const most = finding.display_scale.toFixed(2);
  const unit = finding.unit ? `${finding.unit}s` : 'logit units';
  const strip = document.createElement('span');
  strip.className = 'viewer-strip';
  strip.style.background = gradient(finding.signed ? 'change' : pane.paint.colours);
  const end = `${finding.engine}. AI, not diagnostic.`;
  if (finding.signed) {
    const what = `${finding.label}: change of model attention since the prior (${note}). less: -${most} `;
    return [what, strip, ` +${most}: more, ${unit}; nothing within ${low} of 0. ${end}`];
  }
  const what = `${finding.label}: model attention (${finding.method}, grid ${heat.height} x ${heat.width}). ${low} `;
  const cell = finding.what ? ` A cell: ${finding.what}; what speaks against is not drawn.` : '';
  const only = finding.only_frame === undefined ? '' : ` Image ${finding.only_frame + 1} only.`;
  return [what, strip, ` ${most} ${unit} and more.${cell}${only} ${end}`];
}
