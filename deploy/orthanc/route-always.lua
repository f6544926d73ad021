-- For testing only: sends a study each time it is stable, also when nothing but Osteon's own results came.
-- Many rules of real PACS do just that. Osteon must take the study back without a second run.

function OnStableStudy(study, tags, metadata)
   RestApiPost('/modalities/osteon/store', DumpJson({ Resources = { study }, Asynchronous = true }))
   print('sent study ' .. study .. ' again')
end
