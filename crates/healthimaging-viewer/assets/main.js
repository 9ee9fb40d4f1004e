// The way between pages, and the messages of a host.

const app = parent !== window,
  source = app ? new HostSource() : new HttpSource();
const view = new View(source);

// `#`, or `#datastore/study/series`.
async function route() {
  const [datastore, study, series] = location.hash.slice(1).split('/').map(decodeURIComponent);
  byId('start').hidden = !!study;
  byId('view').hidden = !study;
  byId('crumb').textContent = '';
  view.stop();
  if (!study) return start().catch((error) => byId('datastores').replaceChildren(failed(error)));
  try {
    // Not one after the other: an image of the series is wanted as soon as possible.
    const instances = series && source.series({ datastore, study, series });
    instances?.catch(() => {});
    const found = await source.json(
      `datastore/${segment(datastore)}/studies/${segment(study)}/series?includefield=SeriesDescription`,
    );
    found.sort((one, other) => number(one, 'SeriesNumber', 1e9) - number(other, 'SeriesNumber', 1e9));
    await view.open(
      found.map((set) =>
        entryOf(
          { datastore, study, series: text(set, 'SeriesInstanceUID') },
          set,
          number(set, 'NumberOfSeriesRelatedInstances', 1),
        ),
      ),
      { series, instances },
    );
    const set = view.instance?.set ?? {};
    byId('crumb').textContent = [
      person(text(set, 'PatientName')),
      day(text(set, 'StudyDate')),
      visible(text(set, 'StudyDescription')),
    ]
      .filter(Boolean)
      .join(' · ');
  } catch (error) {
    view.notice(`The study could not be loaded: ${visible(error.message)}`);
  }
}

// What the person looks at, for the assistant: ids and numbers, no text of files.
function updateModelContext() {
  clearTimeout(updateModelContext.timer);
  updateModelContext.timer = setTimeout(() => {
    if (!view.instance) return;
    const { datastore, imageSet, series, uid } = view.instance,
      voi = view.effective(view.frame);
    const marks = view.image
      ? (view.marks.get(view.frames.key(view.image)) ?? []).map((mark) => view.measured(mark))
      : [];
    const structuredContent = {
      datastore_id: datastore,
      image_set_id: imageSet,
      series_instance_uid: series,
      sop_instance_uid: uid,
      ...(view.image && { slice: view.at + 1, slices: view.images.length, frame: view.image.number }),
      ...(voi?.center !== undefined && { window: { center: voi.center, width: voi.width } }),
      measurements: marks.map(({ value, unit }) => ({ value: +value.toFixed(2), unit })),
    };
    const summary = `The viewer shows image ${view.at + 1} of ${view.images.length}: ${JSON.stringify(structuredContent)}`;
    source
      .request('ui/update-model-context', { content: [{ type: 'text', text: summary }], structuredContent })
      .catch(() => {});
  }, 400);
}

async function showResult(result) {
  try {
    const answer = answerOf(result),
      datastore = answer.datastore_id;
    const sets = [
      answer.image_set_id,
      ...(answer.image_set_ids ?? []),
      ...(answer.series ?? []).map((one) => one.image_set_id),
    ].filter(Boolean);
    const list = (
      await Promise.all(
        [...new Set(sets)].map(async (imageSet) => {
          const all = await source.series({ datastore, imageSet });
          return [...new Set(all.map(({ series }) => series))].map((series) => {
            const own = all.filter((one) => one.series === series);
            return entryOf({ datastore, imageSet, series }, own[0].set, own.length);
          });
        }),
      )
    ).flat();
    document.documentElement.classList.toggle('alone', list.length < 2);
    await view.open(list, { series: answer.series_instance_uid, slice: answer.slice, window: answer.window });
  } catch (error) {
    view.notice(visible(error.message));
  }
}

function setTheme(theme) {
  document.documentElement.style.colorScheme = theme;
  byId('theme').textContent = theme === 'dark' ? 'Light' : 'Dark';
}

byId('theme').addEventListener('click', () => setTheme(byId('theme').textContent.toLowerCase()));
if (matchMedia('(prefers-color-scheme: dark)').matches) byId('theme').textContent = 'Light';

if (app) {
  document.documentElement.classList.add('app');
  byId('view').hidden = false;
  view.onchange = updateModelContext;
  const adopt = ({ theme }) => {
    if (theme) setTheme(theme);
  };
  Object.assign(source.handlers, {
    'ui/notifications/tool-result': showResult,
    'ui/notifications/tool-cancelled': () => view.notice('The call was cancelled.'),
    'ui/notifications/host-context-changed': adopt,
    'ui/resource-teardown': () => view.stop(),
  });
  view.notice('Loading…');
  source.open().then(
    ({ hostContext = {} }) => {
      adopt(hostContext);
      const full = el(
        'button',
        {
          type: 'button',
          onclick: () => source.request('ui/request-display-mode', { mode: 'fullscreen' }).catch(() => {}),
        },
        'Full screen',
      );
      if (hostContext.availableDisplayModes?.includes('fullscreen')) byId('actions').append(full);
      let timer;
      new ResizeObserver(() => {
        clearTimeout(timer);
        timer = setTimeout(
          () =>
            source.notify('ui/notifications/size-changed', {
              width: innerWidth,
              height: Math.ceil(document.body.scrollHeight),
            }),
          100,
        );
      }).observe(document.body);
    },
    (error) => view.notice(visible(error.message)),
  );
} else {
  byId('forget').hidden = !source.token;
  byId('forget').addEventListener('click', () => {
    try {
      sessionStorage.removeItem('token');
    } catch {
      /* None was kept. */
    }
    location.reload();
  });
  byId('search').addEventListener('submit', (event) => {
    event.preventDefault();
    search();
  });
  addEventListener('hashchange', route);
  route();
}
