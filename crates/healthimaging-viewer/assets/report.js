// What is read rather than looked at: attributes, structured reports, documents.

const MOST_ROWS = 400;

// A table of attributes whose tag, name or value has the words of `wanted`.
function showAttributes(set, wanted, place) {
  const words = wanted.toLowerCase().split(/\s+/).filter(Boolean),
    rows = [];
  let found = 0;
  const walk = (attributes, above, depth) => {
    const sorted = Object.entries(attributes).sort(([, one], [, other]) => (one.tag < other.tag ? -1 : 1));
    for (const [key, { tag, vr, values: list, uri, base64 }] of sorted) {
      const path = [...above, key],
        isSequence = vr === 'SQ';
      const value = isSequence
        ? `${list.length} item${list.length === 1 ? '' : 's'}`
        : list.length
          ? list.slice(0, 64).map(visible).join(' \\ ')
          : uri
            ? 'bulk data'
            : base64
              ? 'binary'
              : '';
      const all = `${tag} ${path.join(' ')} ${value}`.toLowerCase();
      if (words.every((word) => all.includes(word)) && ++found <= MOST_ROWS) {
        const shown = tag ? `(${tag.slice(0, 4)},${tag.slice(4)})` : '';
        const name = key === tag ? (parseInt(tag[3], 16) & 1 ? 'Private' : 'Unnamed') : key;
        rows.push(
          el(
            'tr',
            {},
            el('th', { scope: 'row' }, `${'› '.repeat(depth)}${name}`, el('small', {}, `${shown} ${vr ?? ''}`)),
            el('td', {}, el('bdi', {}, value.length > 1000 ? `${value.slice(0, 1000)} …` : value)),
          ),
        );
      }
      if (isSequence && depth < 12) list.forEach((one) => walk(one, path, depth + 1));
    }
  };
  walk(set, [], 0);
  place.replaceChildren(
    el('table', {}, el('tbody', {}, ...rows)),
    el(
      'p',
      { class: 'quiet' },
      found > MOST_ROWS
        ? `${found - MOST_ROWS} more; search for what you need.`
        : `${found} attribute${found === 1 ? '' : 's'}`,
    ),
  );
}

const meaning = (code) => (code ? visible(text(code, 'CodeMeaning') || text(code, 'CodeValue')) : '');

// The value of an item of a content tree (PS3.3 C.17.3).
function contentValue(node) {
  const kind = text(node, 'ValueType');
  if (kind === 'NUM') {
    const measured = item(node, 'MeasuredValueSequence');
    return measured
      ? `${visible(values(measured, 'NumericValue').join(' '))} ${meaning(item(measured, 'MeasurementUnitsCodeSequence'))}`
      : 'no value';
  }
  if (kind === 'CODE') return meaning(item(node, 'ConceptCodeSequence'));
  if (kind === 'PNAME') return person(text(node, 'PersonName'));
  const key = { TEXT: 'TextValue', DATE: 'Date', TIME: 'Time', DATETIME: 'DateTime', UIDREF: 'UID' }[kind];
  if (key) return visible(text(node, key));
  const referred = item(node, 'ReferencedSOPSequence');
  if (referred) return `${kind.toLowerCase()} ${visible(text(referred, 'ReferencedSOPInstanceUID'))}`;
  return kind === 'CONTAINER' ? '' : [visible(kind), visible(text(node, 'GraphicType'))].join(' ');
}

function contentTree(nodes, left, depth = 0) {
  return el(
    'ul',
    {},
    ...nodes.map((node) => {
      if (left.count-- <= 0 || depth > 24) return left.count === -1 ? el('li', {}, 'More is not shown.') : null;
      const name = meaning(item(node, 'ConceptNameCodeSequence')),
        value = contentValue(node),
        below = items(node, 'ContentSequence');
      return el(
        'li',
        {},
        name &&
          el(
            below.length ? 'strong' : 'span',
            { class: below.length ? '' : 'quiet' },
            el('bdi', {}, name),
            value && ': ',
          ),
        el('bdi', {}, value),
        below.length ? contentTree(below, left, depth + 1) : null,
      );
    }),
  );
}

// A PDF document page by page, as pictures and text that the server makes.
async function showPages(source, report, place) {
  const frame = el('div', {}),
    show = async (page) => {
      const answer = await source.tool('get_report', { ...report, page }),
        [picture] = answer.pictures ?? [],
        turn = (name, to) => {
          const disabled = to < 1 || to > answer.number_of_pages;
          const onclick = () => show(to).catch((error) => announce(error.message));
          return el('button', { type: 'button', disabled, onclick }, name);
        };
      const isPicture = ['image/png', 'image/jpeg'].includes(picture?.mimeType),
        src = isPicture ? `data:${picture.mimeType};base64,${picture.data}` : '';
      frame.replaceChildren(
        turn('Previous page', page - 1),
        ` Page ${page} of ${answer.number_of_pages} `,
        turn('Next page', page + 1),
        src ? el('img', { src, alt: `Page ${page}` }) : '',
        el('pre', {}, visible(answer.text ?? '')),
      );
    };
  await show(1);
  place.append(frame);
}

// Reports and documents of a series that has no images.
async function showDocuments(source, instances, place) {
  place.replaceChildren(...(instances.length ? [] : ['The series is empty.']));
  for (const { set, uid, ...of } of instances) {
    const title =
      meaning(item(set, 'ConceptNameCodeSequence')) ||
      visible(text(set, 'DocumentTitle') || text(set, 'SeriesDescription')) ||
      visible(text(set, 'Modality'));
    const states = ['CompletionFlag', 'VerificationFlag']
      .map((key) => visible(text(set, key)))
      .filter(Boolean)
      .join(', ');
    place.append(
      el('h2', {}, el('bdi', {}, title)),
      el('p', { class: 'quiet' }, [states, day(text(set, 'ContentDate'))].filter(Boolean).join(' · ')),
    );
    const document = set.EncapsulatedDocument,
      media = text(set, 'MIMETypeOfEncapsulatedDocument') || 'application/pdf';
    if (set.ContentSequence) place.append(contentTree(items(set, 'ContentSequence'), { count: 5000 }));
    else if (document && source.bulk) {
      try {
        const bytes = bytesOf(set, 'EncapsulatedDocument') ?? (await source.bulk(document));
        const isPdf = media === 'application/pdf';
        const href = URL.createObjectURL(new Blob([bytes], { type: isPdf ? media : 'application/octet-stream' }));
        place.append(
          el('p', {}, el('a', { href, download: `document.${isPdf ? 'pdf' : 'bin'}` }, 'Save the document')),
          isPdf ? el('iframe', { src: href, title: 'Document' }) : visible(media),
        );
      } catch (error) {
        place.append(`The document could not be loaded: ${visible(error.message)}`);
      }
    } else if (document && media !== 'application/pdf') {
      place.append(el('p', {}, `${visible(media)} is not shown.`));
    } else if (document) {
      try {
        await showPages(source, { datastore_id: of.datastore, sop_instance_uid: uid }, place);
      } catch (error) {
        place.append(`The document could not be loaded: ${visible(error.message)}`);
      }
    } else {
      place.append(el('p', {}, 'This object has no image and no text; its metadata has what there is.'));
      if (byId('panel').hidden) view.toggleMetadata();
    }
  }
}
